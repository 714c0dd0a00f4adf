export interface UpOptions {
  readonly dataDir: string;
  /** The port asked for; undefined: last time's, else 5432, or the next free one. */
  readonly port: number | undefined;
  readonly nodes: number | undefined;
  /** Of the router; undefined: as the configuration says, or the machine. */
  readonly workers: number | undefined;
  /** A YAML file; undefined: the defaults. */
  readonly configFile: string | undefined;
  /** `key=value`, before what file and environment say. */
  readonly set: readonly string[];
}

/** How whoever waits for the herd is told, on the terminal or over a channel to the parent. */
export interface Report {
  progress(message: string): void;
  ready(herd: ReadyHerd): void;
}

export interface ReadyHerd {
  readonly dataDir: string;
  readonly routerPort: number;
  /** null: there is no dashboard. */
  readonly httpPort: number | null;
  readonly nodes: number;
}

/** Of the router, and the one that SQL written for other herds gives nodes. */
export const defaultPort = 5432;
export const defaultHttpPort = 8432;
/** An embedded herd is reached from its own machine only. */
export const host = '127.0.0.1';
