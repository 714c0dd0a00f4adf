const barChars = 24;

/** Progress of long work on standard error: a bar that is drawn over on a terminal, else a line for each step. */
export interface ProgressBar {
  /** `share` from 0 to 1, of all the work. */
  show(share: number, what: string): void;
  end(): void;
}

export function createProgressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  return stream.isTTY ? drawnBar(stream) : lines(stream);
}

const redrawMs = 50;

function drawnBar(stream: NodeJS.WriteStream): ProgressBar {
  let drawnMs = 0;
  let last = '';
  return {
    show(share, what) {
      if (what === last && share < 1 && Date.now() - drawnMs < redrawMs) return;
      drawnMs = Date.now();
      last = what;
      const full = Math.round(Math.min(1, share) * barChars);
      const percent = `${Math.floor(share * 100)}`.padStart(3);
      const text = `[${'█'.repeat(full)}${'·'.repeat(barChars - full)}] ${percent} % ${what}`;
      stream.write(`\r${text.slice(0, (stream.columns || 80) - 1)}\x1b[K`);
    },
    end: () => void stream.write('\r\x1b[K'),
  };
}

/** The same step is told again when a tenth more is done. */
function lines(stream: NodeJS.WriteStream): ProgressBar {
  let last = '';
  let tenth = -1;
  return {
    show(share, what) {
      const reached = Math.floor(share * 10);
      const [name = ''] = what.split(' ');
      if (name === last && reached === tenth) return;
      last = name;
      tenth = reached;
      stream.write(`pgherd: ${Math.floor(share * 100)} % ${what}\n`);
    },
    end: () => {},
  };
}
