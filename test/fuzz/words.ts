/** ONNX Runtime's own words: source files, signatures, its names of errors. */
export const raw = /onnxruntime_|\.(cc|h|cpp):\d|::|InferenceError|ONNXRuntimeError|std_|gsl|was false/;
/** What would move a cursor or turn the writing. */
export const hidden = /[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;
