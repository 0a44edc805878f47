import { invalid } from '../../check.js';
import type { Graph } from '../../graph/graph.js';
import { mostOf, type StudentOptions, TooLarge } from './layers.js';
import { mobilenet } from './mobilenet.js';
import { resnet } from './resnet.js';
import { vgg } from './vgg.js';
import { wideResnet } from './wide-resnet.js';

/** Every kind of network that can be built. */
export const students = [resnet, wideResnet, vgg, mobilenet] as const;

export const studentNames = students.map(({ name }) => name);

/**
 * An untrained network in training form.
 *
 * @param name as resnet-8, wrn-16-2, vgg-9, mobilenet
 * @throws GradcamppError INVALID_OPTION where there is no such network, or it would be too large
 */
export function buildStudent(name: string, options: StudentOptions): Graph {
  try {
    for (const { build } of students) {
      const graph = build(name, options);
      if (graph) return graph;
    }
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    const wide = options.width === undefined || options.width === 1 ? '' : ` of width ${options.width}`;
    throw invalid(
      'student',
      `a network of at most ${mostOf.weights / 1e6} million weights in ${mostOf.layers} layers`,
      `${name}${wide}`,
      'Name a shallower or narrower one.',
    );
  }
  throw invalid('student', `one of ${studentNames.join(', ')}, or the path of an ONNX file`, name);
}
