import { invalid } from '../../check.js';
import type { Graph } from '../../graph/graph.js';
import type { StudentOptions } from './layers.js';
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
 * @throws GradcamppError INVALID_OPTION where there is no such network
 */
export function buildStudent(name: string, options: StudentOptions): Graph {
  for (const { build } of students) {
    const graph = build(name, options);
    if (graph) return graph;
  }
  throw invalid('student', `one of ${studentNames.join(', ')}, or the path of an ONNX file`, name);
}
