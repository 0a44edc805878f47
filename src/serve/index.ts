/** `gradcampp/serve`: pictures explained as they come, for servers; docs/serving.md. */
export { GradcamppError } from '../errors.js';
export {
  Busy,
  ExplainService,
  type ServiceOptions,
  type ServiceRequest,
  type ServiceResult,
} from './explain-service.js';
export { type Answered, type ServiceApp, serviceApp } from './http.js';
export { listen, type Listening } from './listen.js';
export type { HttpOptions, ListenOptions } from './serve-options.js';
