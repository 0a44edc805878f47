/** Losses: functions that write nodes behind a network and give a value of dims [], to be added up. */
export { attentionNodes, attentionTransfer } from './attention-transfer.js';
export { binaryCrossEntropy, type BinaryCrossEntropyOptions } from './binary-cross-entropy.js';
export { crossEntropy, type CrossEntropyOptions } from './cross-entropy.js';
export { binaryDistillation, distillation } from './distillation.js';
export { explanationLoss, type ExplanationLossOptions } from './explanation.js';
export { rightReasons, type RightReasonsOptions } from './right-reasons.js';
export { sumOfTerms, type Term } from './sum.js';
