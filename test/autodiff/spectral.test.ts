import { spectral } from './cases/spectral.js';
import { describeCases } from './check.js';
describeCases('spectral', spectral);
