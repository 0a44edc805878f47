// Explanations in a server of your own: npm install gradcampp fastify, then node server.mjs model.onnx [port]
import fastify from 'fastify';
import { Busy, ExplainService, GradcamppError } from 'gradcampp/serve';

const [model, port = '3000'] = process.argv.slice(2);
const service = await ExplainService.open({ model, queue: 32 });
const server = fastify({ bodyLimit: 16 * 2 ** 20 });

server.addContentTypeParser(/^image\//, { parseAs: 'buffer' }, async (request, body) => body);

server.post('/why', async (request, reply) => {
  const [{ target, files }] = await service.explain(request.body, { targets: { top: 1 }, save: ['overlay'] });
  return reply.type('image/jpeg').header('X-Class', encodeURIComponent(target.name)).send(Buffer.from(files.overlay.bytes));
});

server.setErrorHandler((error, request, reply) => {
  if (error instanceof Busy) return reply.code(503).header('Retry-After', error.retryAfter).send({ error: error.message });
  if (error instanceof GradcamppError && error.code === 'INVALID_IMAGE') return reply.code(422).send({ error: error.message });
  return reply.code(error.statusCode ?? 500).send({ error: error.message });
});

server.addHook('onClose', () => service.close());
process.once('SIGTERM', () => server.close());
console.log(await server.listen({ port: Number(port) }));
