/** What the user is told of a mount. */
export interface Message {
  readonly level: 'log' | 'notice' | 'warning';
  readonly text: string;
}
