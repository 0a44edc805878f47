export { buildExplorer } from './build.js';
export { serveExplorer, type ServedExplorer } from './explorer.js';
export { buildOptions, localOptions, sessionOptions, type SessionOptions } from './explore-options.js';
export { openBrowser } from './open-browser.js';
