import { type Condition, conditions } from './sqlstate.ts';
import { type UnsupportedCode, unsupportedCodes } from './unsupported.ts';

/** The fields of an ErrorResponse or NoticeResponse, under the manual's names (protocol-error-fields). */
export interface ErrorFields {
  readonly severity: string;
  /** Five characters: the SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  /** 1-based index, in characters, into the statement. */
  readonly position?: string;
  readonly internalPosition?: string;
  readonly internalQuery?: string;
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly dataType?: string;
  readonly constraint?: string;
  readonly file?: string;
  readonly line?: string;
  readonly routine?: string;
}

/** An error the client is told of, in PostgreSQL's own terms. */
export class PgError extends Error {
  override readonly name = 'PgError';
  readonly fields: ErrorFields;
  constructor(fields: ErrorFields) {
    super(fields.message);
    this.fields = fields;
  }
  get code(): string {
    return this.fields.code;
  }
}

export interface ErrorExtras {
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
  readonly position?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  /** ERROR unless said otherwise; FATAL ends the session. */
  readonly severity?: 'ERROR' | 'FATAL';
}

/** An error from the one table of conditions: `throw pgError('undefinedTable', 'relation "x" does not exist')`. */
export function pgError(condition: Condition, message: string, extras: ErrorExtras = {}): PgError {
  return new PgError({ severity: 'ERROR', code: conditions[condition], message, ...extras });
}

/** SQLSTATE 0A000 with a stable `PH…` code, its own hint, and what exactly was asked for. */
export function unsupported(code: UnsupportedCode, what: string, extras: ErrorExtras = {}): PgError {
  const entry = unsupportedCodes[code];
  return pgError('featureNotSupported', `${what} (${code})`, { hint: entry.hint, ...extras });
}

/** What to tell the client about anything that was thrown. An error that is not a PgError is our own mistake. */
export function toErrorFields(error: unknown): ErrorFields {
  if (error instanceof PgError) return error.fields;
  const message = error instanceof Error ? error.message : String(error);
  return { severity: 'ERROR', code: conditions.internalError, message: `internal error: ${message}` };
}
