/** Exact sums of numerics as PostgreSQL writes them: digits with a scale, or NaN and the infinities. */
export type Decimal =
  | { readonly kind: 'finite'; readonly digits: bigint; readonly scale: number }
  | { readonly kind: 'special'; readonly name: 'NaN' | 'Infinity' | '-Infinity' };

export const zeroDecimal: Decimal = { kind: 'finite', digits: 0n, scale: 0 };

export function parseDecimal(text: string): Decimal {
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return { kind: 'special', name: text };
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) throw new RangeError(`"${text}" is no decimal number`);
  const [, sign, whole = '', fraction = ''] = match;
  return { kind: 'finite', digits: BigInt(`${sign === '-' ? '-' : ''}${whole}${fraction}`), scale: fraction.length };
}

/** With the larger scale, as PostgreSQL's addition has it. */
export function addDecimals(a: Decimal, b: Decimal): Decimal {
  if (a.kind === 'special') return b.kind === 'special' && b.name !== a.name ? { kind: 'special', name: 'NaN' } : a;
  if (b.kind === 'special') return b;
  const scale = Math.max(a.scale, b.scale);
  const digits = a.digits * 10n ** BigInt(scale - a.scale) + b.digits * 10n ** BigInt(scale - b.scale);
  return { kind: 'finite', digits, scale };
}

export function decimalText(value: Decimal): string {
  if (value.kind === 'special') return value.name;
  const { digits, scale } = value;
  const magnitude = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const sign = digits < 0n ? '-' : '';
  return scale === 0 ? sign + magnitude : `${sign}${magnitude.slice(0, -scale)}.${magnitude.slice(-scale)}`;
}
