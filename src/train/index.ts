/** `gradcampp/train`: networks trained on what they look at; docs/training.md. */
export { GradcamppError } from '../errors.js';
export type { Graph, ValueInfo } from '../graph/graph.js';
export { type ModelFile, modelFile } from '../graph/model-file.js';
export { DataType } from '../onnx/types.js';
export type { Tensor } from '../tensor.js';
export * from './losses/index.js';
export { mapNodes, type MapOptions, type Normalization } from './maps.js';
export { NetworkBuilder } from './network-builder.js';
export { Adam, type AdamOptions } from './optimizers/adam.js';
export { AdamW } from './optimizers/adamw.js';
export { clipGradients } from './optimizers/clip.js';
export type { Optimizer, OptimizerState } from './optimizers/optimizer.js';
export { Sgd, type SgdOptions } from './optimizers/sgd.js';
export { constant } from './schedules/constant.js';
export { cosine } from './schedules/cosine.js';
export type { Schedule } from './schedules/schedule.js';
export { steps } from './schedules/step.js';
export { warmUp } from './schedules/warm-up.js';
export { buildStudent } from './students/index.js';
export type { StudentOptions } from './students/layers.js';
export { type Step, Trainer, type TrainerOptions } from './trainer.js';
export { decayingWeights, forTraining, forUse, weightsOf } from './training-form.js';
export {
  distill,
  type DistillOptions,
  train,
  type Trained,
  type TrainOptions,
} from './run/run.js';
export type { TrainProgress } from './run/progress.js';
export type { ClassWeights } from './data/class-weights.js';
export type { ArmResult, Results, SeedResult } from './run/results.js';
export type { Terms } from './run/train-options.js';
