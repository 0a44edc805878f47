import { folder } from './folder.js';
import { s3 } from './s3.js';
import type { Storage, StorageKind } from './storage.js';

export type { Storage } from './storage.js';
export { readWhole } from './storage.js';

/** Every kind of storage; the first that an address means. */
const kinds: readonly StorageKind[] = [s3, folder];

/** Whether an address is of another place than this machine's file system. */
export function isRemote(address: string): boolean {
  return kinds.some((kind) => kind !== folder && kind.isMeant(address));
}

export async function openStorage(address: string): Promise<Storage> {
  return (kinds.find(({ isMeant }) => isMeant(address)) as StorageKind).open(address);
}
