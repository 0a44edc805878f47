/**
 * ONNX Runtime's official builds report sessions to Microsoft, the model's file name among what they send: on Linux
 * since 1.29, unless this variable is set. Explaining a picture should tell nobody, so it is set, unless the user has
 * set it. The library reads it from the environment of the process, which only the main thread changes.
 */
export function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
}
