import { styleText } from 'node:util';

type Colour = 'green' | 'yellow' | 'red' | 'bold' | 'dim';

/** Colours are for terminals; NO_COLOR (no-color.org) switches them off, FORCE_COLOR on. */
export function colour(name: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return isColourful(stream) ? styleText(name, text) : text;
}

function isColourful(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = process.env;
  if (no) return false;
  if (force && force !== '0') return true;
  return stream.isTTY === true && term !== 'dumb';
}
