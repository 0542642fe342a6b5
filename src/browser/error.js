// The one error class, and the rows of failures that the core sends.

export class TurnError extends Error {
  constructor(code, message, { status, retryable = false, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TurnError";
    this.code = code;
    this.retryable = retryable;
    if (status) this.status = status;
  }
}

export const fail = (code, message, options) => {
  throw new TurnError(code, message, options);
};

/** An error from the core's row; `cause` is what JavaScript threw. */
export const errorFrom = (row, cause) =>
  row && new TurnError(row[0], row[1], { status: row[2], retryable: row[3], cause });
