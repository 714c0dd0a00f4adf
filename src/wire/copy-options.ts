/**
 * COPY's options as bytes (manual: sql-copy). PostgreSQL allows one single-byte character each for delimiter, quote and
 * escape; whoever reads the statement checks that.
 */
export interface CopyTextOptions {
  readonly delimiter: number;
  /** The bytes that stand for NULL. */
  readonly null: Buffer;
}

export interface CopyCsvOptions extends CopyTextOptions {
  readonly quote: number;
  readonly escape: number;
}

/** What a splitter is given; each format reads the parts it needs. The header line, if any, is its first row. */
export interface CopyRowOptions extends Partial<CopyCsvOptions> {
  readonly maxRowBytes: number;
}

export const copyTextDefaults: CopyTextOptions = { delimiter: 0x09, null: Buffer.from('\\N') };
export const copyCsvDefaults: CopyCsvOptions = { delimiter: 0x2c, null: Buffer.alloc(0), quote: 0x22, escape: 0x22 };
