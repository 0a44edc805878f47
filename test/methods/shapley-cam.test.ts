import { holdsOracle } from './oracle.js';

holdsOracle('shapley-cam', { variant: () => ({ method: 'shapley-cam' }) });
