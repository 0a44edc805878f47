import { createHash } from 'node:crypto';

/**
 * SHA-256 of a value's JSON in the order its keys have. The study page computes the same; it shows that a file was
 * not changed by accident or by hand, not who wrote it.
 */
export function checksumOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
