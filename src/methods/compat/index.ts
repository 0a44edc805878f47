import { authors } from './authors.js';
import type { Peer } from './peer.js';
import { pytorchGradCam } from './pytorch-grad-cam.js';
import { tfKerasVis } from './tf-keras-vis.js';
import { torchCam } from './torch-cam.js';

/** The packages whose numbers can be had, by name. */
export const peers = {
  'pytorch-grad-cam': pytorchGradCam,
  'torch-cam': torchCam,
  authors,
  'tf-keras-vis': tfKerasVis,
} as const satisfies Readonly<Record<string, Peer>>;

export type PeerName = keyof typeof peers;
export const peerNames = Object.keys(peers) as readonly PeerName[];
