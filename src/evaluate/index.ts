/** `gradcampp/evaluate`: the evaluations of `gradcampp evaluate` and the trust study, for programs. */
export { evaluate, type OptionsOfEvaluation } from './evaluate.js';
export type { Evaluated, EvaluateOptions, EvaluationProgress } from './evaluation.js';
export { type EvaluationName, evaluations } from './evaluations.js';
export { openSubject } from './open.js';
export type { Report } from './report/report.js';
export { reportText } from './report/text.js';
export { measureHere, type Measurer } from './measurer.js';
export { scoreAnswers, writeStudy } from './study/study-folder.js';
export type { StudyOptions } from './study/study-options.js';
export type { Explained, ExplanationMap, PreparedImage, Subject, Variant } from './subject.js';
export { ablationVariants, variantsOfMethods } from './variants.js';
