import { folder } from './folder.js';
import type { Storage, StorageKind } from './storage.js';

export type { Storage } from './storage.js';
export { readWhole } from './storage.js';

/** Every kind of storage; the first that an address means. */
const kinds: readonly StorageKind[] = [folder];

export async function openStorage(address: string): Promise<Storage> {
  return (kinds.find(({ isMeant }) => isMeant(address)) as StorageKind).open(address);
}
