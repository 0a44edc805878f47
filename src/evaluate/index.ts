/** `gradcampp/evaluate`: the evaluations of `gradcampp evaluate` and the trust study, for programs. */
export { evaluateFaithfulness, type FaithfulnessOptions } from './faithfulness/evaluate.js';
export type { FaithfulnessSettings } from './faithfulness/measure.js';
export { evaluateGeneralization, type GeneralizationOptions } from './generalization/evaluate.js';
export { evaluateGrid } from './grid/evaluate.js';
export type { GridSettings } from './grid/measure.js';
export { evaluateLocalization, type LocalizationOptions } from './localization/evaluate.js';
export { evaluateSanity } from './sanity/evaluate.js';
export type { SanitySettings } from './sanity/measure.js';
export type { Evaluated, EvaluateOptions } from './evaluation.js';
export { openSubject } from './open.js';
export type { Report } from './report/report.js';
export { reportText } from './report/text.js';
export { measureHere, type Measurer } from './run.js';
export { scoreAnswers, type StudyOptions, writeStudy } from './study/evaluate.js';
export type { Explained, ExplanationMap, PreparedImage, Subject, Variant } from './subject.js';
export { ablationVariants, variantsOfMethods } from './variants.js';
