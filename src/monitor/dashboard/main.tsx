import { type ComponentType, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Activity } from './activity.tsx';
import { Console } from './console.tsx';
import { Jobs } from './jobs.tsx';
import { Overview } from './overview.tsx';
import { Replication } from './replication.tsx';
import { PageContext, useKept, useLiveState } from './state.ts';
import { Statements } from './statements.tsx';
import { Tables } from './tables.tsx';
import { Transactions } from './transactions.tsx';
import { type Language, wordsOf } from './words.ts';

const views = {
  ...{ overview: Overview, tables: Tables, activity: Activity, statements: Statements },
  ...{ transactions: Transactions, replication: Replication, jobs: Jobs, console: Console },
} as const satisfies Record<string, ComponentType>;

type View = keyof typeof views;

function viewNow(): View {
  const name = location.hash.slice(1);
  return name in views ? (name as View) : 'overview';
}

function App() {
  const [view, setView] = useState(viewNow);
  const [kept, setLanguage] = useKept('pgherd-language', navigator.language.startsWith('zh') ? 'zh' : 'en');
  const language: Language = kept === 'zh' ? 'zh' : 'en';
  const preferred = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const [theme, setTheme] = useKept('pgherd-theme', preferred);
  const { state, lost } = useLiveState(language);
  const words = wordsOf(language);
  // Before anything is drawn in these colours.
  document.documentElement.dataset['theme'] = theme;
  useEffect(() => {
    const onHash = () => setView(viewNow());
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = `${words[view]} – pgherd`;
  }, [language, view, words]);
  const Content = views[view];
  return (
    <PageContext.Provider value={{ state, words, language, dark: theme === 'dark' }}>
      <button type="button" class="skip" onClick={focusContent}>
        {words.skip}
      </button>
      <header>
        <h1>pgherd</h1>
        <span class="quiet">{state?.title}</span>
        <span class="grow" />
        <label>
          {words.language}{' '}
          <select value={language} onChange={(event) => setLanguage(event.currentTarget.value)}>
            <option value="en">English</option>
            <option value="zh">中文</option>
          </select>
        </label>
        <label>
          <input
            type="checkbox"
            checked={theme === 'dark'}
            onChange={(event) => setTheme(event.currentTarget.checked ? 'dark' : 'light')}
          />{' '}
          {words.theme}
        </label>
      </header>
      <nav aria-label="pgherd">
        {(Object.keys(views) as View[]).map((name) => (
          <a key={name} href={`#${name}`} aria-current={name === view ? 'page' : undefined}>
            {words[name]}
          </a>
        ))}
      </nav>
      <main id="content" tabIndex={-1}>
        {lost && (
          <p class="bad" role="alert">
            {words.lost}
          </p>
        )}
        <Content />
      </main>
    </PageContext.Provider>
  );
}

function focusContent(): void {
  document.getElementById('content')?.focus();
}

render(<App />, document.body);
