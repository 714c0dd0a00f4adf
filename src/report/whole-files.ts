import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files that appear together when all are written, or not at all. */
export interface FileSet {
  /** Writes to a file of the set; text is buffered. */
  file(name: string): Promise<FileWriter>;
}

export interface FileWriter {
  write(text: string): Promise<void>;
}

const bufferChars = 65_536;

/**
 * Runs work that writes files, in a draft folder inside `dir`, and then moves them in, over what had their names. If the work fails,
 * nothing of it is left, and what was there before is as it was. Gives the names.
 */
export async function writeWhole(dir: string, work: (files: FileSet) => Promise<void>): Promise<string[]> {
  const made = await mkdir(dir, { recursive: true });
  const draft = join(dir, `.draft-${randomUUID()}`);
  await mkdir(draft);
  const open: OpenFile[] = [];
  try {
    await work({
      file: async (name) => {
        const file = await OpenFile.create(join(draft, name));
        open.push(file);
        return file;
      },
    });
    for (const file of open) await file.finish();
    const names = (await readdir(draft)).sort();
    for (const name of names) await rename(join(draft, name), join(dir, name));
    await rmdir(draft);
    return names;
  } catch (error) {
    for (const file of open) await file.abandon();
    await rm(made ?? draft, { recursive: true, force: true });
    throw error;
  }
}

class OpenFile implements FileWriter {
  readonly #handle: FileHandle;
  #text = '';

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async create(path: string): Promise<OpenFile> {
    return new OpenFile(await open(path, 'wx', 0o640));
  }

  async write(text: string): Promise<void> {
    this.#text += text;
    if (this.#text.length >= bufferChars) await this.#flush();
  }

  /** On disk, before its name is. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
  }

  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }

  async #flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    if (text !== '') await this.#handle.write(text);
  }
}
