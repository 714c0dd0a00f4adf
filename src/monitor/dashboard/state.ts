import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { LagSample } from '../observatory.ts';
import type { Report } from '../report.ts';
import type { Sample } from '../samples.ts';
import type { Language, Words } from './words.ts';

/** What the server sends after each sample. */
export interface State {
  readonly title: string;
  readonly report: Report | null;
  readonly samples: readonly Sample[];
  readonly lags: readonly LagSample[];
}

export interface Page {
  readonly state: State | null;
  readonly words: Words;
  readonly language: Language;
  readonly dark: boolean;
}

export const PageContext = createContext<Page>({} as Page);

export function usePage(): Page {
  return useContext(PageContext);
}

/** The state, live; `lost` while the server can't be heard. The browser connects again by itself. */
export function useLiveState(language: Language): { readonly state: State | null; readonly lost: boolean } {
  const [state, setState] = useState<State | null>(null);
  const [lost, setLost] = useState(false);
  useEffect(() => {
    const source = new EventSource(`/api/events?lang=${language}`);
    source.onmessage = ({ data }) => {
      setState(JSON.parse(data));
      setLost(false);
    };
    source.onerror = () => setLost(true);
    return () => source.close();
  }, [language]);
  return { state, lost };
}

export type Answer<T> =
  | { readonly kind: 'none' }
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'failed'; readonly why: string };

/** Asks again while the page is shown. What was known stays until there is something new. */
export function useAsked<T>(path: string, everyMs: number): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ kind: 'none' });
  useEffect(() => {
    let timer = 0;
    let left = false;
    const ask = async () => {
      const next = document.hidden ? null : await fetchJson<T>(path);
      if (left) return;
      if (next !== null) setAnswer(next);
      timer = window.setTimeout(ask, everyMs);
    };
    void ask();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  return answer;
}

export async function fetchJson<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<Answer<T>> {
  try {
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(path, { ...(body === undefined ? {} : post), ...(signal ? { signal } : {}) });
    if (!response.ok) return { kind: 'failed', why: await response.text() };
    return { kind: 'value', value: await response.json() };
  } catch (error) {
    return { kind: 'failed', why: String(error) };
  }
}

/** Kept in the browser over visits. */
export function useKept(name: string, first: string): [string, (value: string) => void] {
  const [value, setValue] = useState(() => localStorage.getItem(name) ?? first);
  return [
    value,
    (next) => {
      localStorage.setItem(name, next);
      setValue(next);
    },
  ];
}
