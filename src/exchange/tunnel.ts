/**
 * The client's side of an upgraded exchange (RFC 9110 section 7.8): bytes both ways, from here on. Its owner sets
 * the callbacks as soon as it has it; none is called before that.
 */
export interface Tunnel {
  /**
   * False means: stop until onDrain. The bytes are the Tunnel's from here on, unless `transient` says that they are
   * valid during the call only.
   */
  write(data: Buffer, transient?: boolean): boolean;
  /** Nothing more will be written; what has been is still sent. */
  end(): void;
  pause(): void;
  resume(): void;

  /** `data` is valid during the call only. */
  onData: (data: Buffer) => void;
  onDrain: () => void;
  /** The client has closed, or its connection broke; called once, last. */
  onClose: () => void;
}
