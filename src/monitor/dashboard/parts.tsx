import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Answer } from './state.ts';
import { usePage } from './state.ts';

export function Card({
  title,
  wide = false,
  children,
}: {
  title: string;
  wide?: boolean;
  children: ComponentChildren;
}) {
  return (
    <section class={wide ? 'card wide' : 'card'}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

export interface Column<T> {
  readonly title: string;
  readonly number?: boolean;
  readonly show: (row: T) => ComponentChildren;
}

export function Table<T>({
  columns,
  rows,
  empty,
  label,
}: {
  columns: readonly Column<T>[];
  rows: readonly T[];
  empty: string;
  label: string;
}) {
  if (rows.length === 0) return <p class="quiet">{empty}</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <section class="scroll" tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map(({ title, number }) => (
              <th key={title} scope="col" class={number ? 'number' : ''}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {columns.map(({ title, number, show }) => (
                <td key={title} class={number ? 'number' : ''}>
                  {show(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What was asked for, or why it isn't there. */
export function Asked<T>({ answer, children }: { answer: Answer<T>; children: (value: T) => ComponentChildren }) {
  const { words } = usePage();
  if (answer.kind === 'none') return <p class="quiet">{words.waiting}</p>;
  if (answer.kind === 'failed') {
    return (
      <p class="bad" role="alert">
        {answer.why}
      </p>
    );
  }
  return <>{children(answer.value)}</>;
}

export function Confirm({
  question,
  detail,
  onAnswer,
}: {
  question: string;
  detail: string;
  onAnswer: (yes: boolean) => void;
}) {
  const { words } = usePage();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onCancel={() => onAnswer(false)} aria-label={question}>
      <p>{question}</p>
      <pre>{detail}</pre>
      <div class="row">
        <button type="button" onClick={() => onAnswer(false)}>
          {words.no}
        </button>
        <button type="button" class="main" onClick={() => onAnswer(true)}>
          {words.yes}
        </button>
      </div>
    </dialog>
  );
}
