import { PaddockError } from "../errors.ts";

/**
 * A message that breaks RFC 9112 or a limit. `status` is what the client gets (RFC 9110 section 15); the
 * connection is closed after it, since where the next message begins can no longer be known.
 */
export class MessageError extends PaddockError {
  readonly status: number;

  constructor(status: number, message: string) {
    super("ERR_HTTP_MESSAGE", message);
    this.status = status;
  }
}
