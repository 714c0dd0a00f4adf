import { RowRandom } from './random.ts';
import { adjectives, adverbs, auxiliaries, nouns, prepositions, terminators, verbs } from './words.ts';

/** Comments are pieces of one long pseudo-text (specification 4.2.2.10, 4.2.2.14): a cut may go through a word. */
export class TextPool {
  readonly #text: string;

  constructor(seed: number) {
    this.#text = writeText(new RowRandom(seed, 0, 0), poolChars);
  }

  /** A piece of between `low` and `high` characters, all lengths equally likely. */
  piece(random: RowRandom, low: number, high: number): string {
    const length = random.int(low, high);
    const start = random.int(0, this.#text.length - length);
    return this.#text.slice(start, start + length);
  }
}

/** Long enough that what a LIKE finds in pieces of it is as frequent as in an endless text. */
const poolChars = 6_000_000;

function writeText(random: RowRandom, chars: number): string {
  const sentences: string[] = [];
  for (let length = 0; length < chars; ) {
    const written = sentence(random);
    sentences.push(written);
    length += written.length + 1;
  }
  // Joined at once: slices of a rope would flatten it again and again.
  return Buffer.from(sentences.join(' '), 'latin1').toString('latin1');
}

/** Nine forms in the grammar, of which some weigh more. */
function sentence(random: RowRandom): string {
  const noun = () => nounPhrase(random);
  const verb = () => verbPhrase(random);
  const preposition = () => `${random.pick(prepositions)} the ${nounPhrase(random)}`;
  const end = random.pick(terminators);
  switch (random.pick(sentenceForms)) {
    case 'nv':
      return `${noun()} ${verb()}${end}`;
    case 'nvp':
      return `${noun()} ${verb()} ${preposition()}${end}`;
    case 'nvn':
      return `${noun()} ${verb()} ${noun()}${end}`;
    case 'npvn':
      return `${noun()} ${preposition()} ${verb()} ${noun()}${end}`;
    default:
      return `${noun()} ${preposition()} ${verb()} ${preposition()}${end}`;
  }
}

const sentenceForms = ['nv', 'nv', 'nv', 'nvp', 'nvp', 'nvp', 'nvn', 'nvn', 'nvn', 'npvn', 'npvp'];

function nounPhrase(random: RowRandom): string {
  const form = random.int(1, 90);
  const noun = random.pick(nouns);
  if (form <= 10) return noun;
  if (form <= 30) return `${random.pick(adjectives)} ${noun}`;
  if (form <= 40) return `${random.pick(adjectives)}, ${random.pick(adjectives)} ${noun}`;
  return `${random.pick(adverbs)} ${random.pick(adjectives)} ${noun}`;
}

function verbPhrase(random: RowRandom): string {
  const form = random.int(1, 72);
  const verb = random.pick(verbs);
  if (form <= 30) return verb;
  if (form === 31) return `${random.pick(auxiliaries)} ${verb}`;
  if (form <= 71) return `${verb} ${random.pick(adverbs)}`;
  return `${random.pick(auxiliaries)} ${verb} ${random.pick(adverbs)}`;
}
