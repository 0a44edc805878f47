import { saveKinds } from '../batch/output-options.js';
import { version } from '../package.js';

/** The OpenAPI document of the HTTP interface. */
export function openApi({ maxBody, hasToken }: { readonly maxBody: number; readonly hasToken: boolean }) {
  const error = (description: string) => ({
    description,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
  });
  const binary = { schema: { type: 'string', format: 'binary' } };
  const text = {
    description: 'As the path says.',
    content: { 'text/plain': { schema: { type: 'string' } } },
  };
  const health = {
    '200': { description: 'Yes.', content: { 'application/json': { schema: { type: 'object' } } } },
    '503': error('No.'),
  };
  const region = {
    type: 'object',
    description: 'In pixels of the network’s input.',
    properties: Object.fromEntries(['x', 'y', 'width', 'height'].map((key) => [key, { type: 'number' }])),
  };
  return {
    openapi: '3.1.0',
    info: {
      title: 'gradcampp',
      version,
      description: 'Which regions of a picture drove a network’s answer.',
    },
    ...(hasToken ? { security: [{ bearer: [] }] } : {}),
    paths: {
      '/explain': {
        post: {
          operationId: 'explain',
          summary: `Explain a picture of at most ${maxBody} bytes.`,
          parameters: [
            {
              name: 'class',
              in: 'query',
              description:
                'Class to explain, by index or name; repeatable. Default: what the service was started with.',
              schema: { type: 'array', items: { type: 'string' } },
            },
            {
              name: 'top',
              in: 'query',
              description: 'Explain the best classes.',
              schema: { type: 'integer', minimum: 1 },
            },
            {
              name: 'include',
              in: 'query',
              description: 'What is drawn, as data URLs in `files`.',
              schema: { type: 'array', items: { type: 'string', enum: [...saveKinds] } },
            },
          ],
          requestBody: {
            required: true,
            content: {
              'image/*': binary,
              'application/octet-stream': binary,
              'multipart/form-data': {
                schema: { type: 'object', properties: { image: { type: 'string', format: 'binary' } } },
              },
            },
          },
          responses: {
            '200': {
              description:
                'A result for each target and method; or, where the client accepts pictures alone, the first overlay.',
              content: {
                'application/json': {
                  schema: {
                    type: 'object',
                    required: ['results'],
                    properties: {
                      results: { type: 'array', items: { $ref: '#/components/schemas/Result' } },
                    },
                  },
                },
                'image/*': binary,
              },
            },
            '400': error('The query is wrong, or there is no such class.'),
            '401': error('The token is missing or wrong.'),
            '413': error('The picture has too many bytes.'),
            '422': error('The picture cannot be read.'),
            '500': error('The picture could not be explained.'),
            '503': {
              ...error('All places are taken, or the service is ending.'),
              headers: { 'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } } },
            },
          },
        },
      },
      '/healthz': {
        get: {
          operationId: 'health',
          summary: 'Whether the process works.',
          security: [],
          responses: health,
        },
      },
      '/readyz': {
        get: {
          operationId: 'ready',
          summary: 'Whether pictures are taken.',
          security: [],
          responses: health,
        },
      },
      '/metrics': {
        get: { operationId: 'metrics', summary: 'Metrics for Prometheus.', responses: { '200': text } },
      },
      '/openapi.json': {
        get: {
          operationId: 'openapi',
          summary: 'This document.',
          responses: {
            '200': { description: 'It.', content: { 'application/json': { schema: { type: 'object' } } } },
          },
        },
      },
    },
    components: {
      ...(hasToken ? { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } : {}),
      schemas: {
        Error: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['code', 'message'],
              properties: { code: { type: 'string' }, message: { type: 'string' } },
            },
          },
        },
        Result: {
          type: 'object',
          description: 'A line of results.jsonl: docs/results.md.',
          required: ['image', 'target', 'layers', 'method', 'map', 'files'],
          properties: {
            image: { type: 'object' },
            target: {
              type: 'object',
              properties: {
                class: { type: 'integer' },
                name: { type: 'string' },
                kind: { type: 'string' },
                score: { type: 'number' },
                probability: { type: 'number' },
              },
            },
            layers: { type: 'array', items: { type: 'string' } },
            method: { type: 'string' },
            map: {
              type: 'object',
              properties: {
                dims: { type: 'array', items: { type: 'integer' } },
                empty: { type: 'boolean' },
                bounds: { type: 'array', items: region },
              },
            },
            files: { type: 'object', additionalProperties: { type: 'string', description: 'A data URL.' } },
          },
        },
      },
    },
  };
}
