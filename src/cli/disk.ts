import { statfs } from 'node:fs/promises';

/** Of the disk that a directory is on. */
export async function diskOf(directory: string): Promise<{ freeBytes: number; totalBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
