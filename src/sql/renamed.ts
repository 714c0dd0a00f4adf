import { type Edit, type SqlSource, splice, textBetween } from './source.ts';

/** A statement's text with other names in it. */
export interface Renamed {
  readonly text: string;
  /** Where in the statement as it was a position in `text` is. Both count characters, from 1. */
  originalPosition(position: number): number;
}

export function renamed(source: SqlSource, edits: readonly Edit<never>[]): Renamed {
  const sorted = [...edits].sort((a, b) => a.start - b.start);
  return {
    text: splice<never>(source, edits).join(''),
    originalPosition(position) {
      let shift = 0;
      for (const { start, end, parts } of sorted) {
        const from = textBetween(source, 0, start).length + 1;
        const [before, after] = [textBetween(source, start, end).length, parts.join('').length];
        if (position < from + shift) break;
        if (position < from + shift + after) return from;
        shift += after - before;
      }
      return position - shift;
    },
  };
}
