// The rows of a list that are known: read page by page, and read anew where somebody looks. A token names a place in the
// list, so a page that is read again begins after the same row, whatever has come before it.

import type { Page, TaskRow } from "../../api.ts";

export const PAGE = 200;
const EMPTY_MAX = 50; // pages without a row that are passed over in one go: a list may end a page early

type ReadPage = (size: number, token: string) => Promise<Page<TaskRow>>;

export class Rows {
  all: TaskRow[] = [];
  private token: string | undefined; // of what follows; undefined: nothing was read yet, "": it was the last page
  private readonly places: { after: string; token: string }[] = [];
  private reading: Promise<void> | undefined;

  constructor(private readonly read: ReadPage) {}

  get more(): boolean { return Boolean(this.token); }

  /** Read the first page anew, and the one in which the row with this number is. */
  async renew(at: number): Promise<void> {
    this.put(-1, await this.some(PAGE, ""));
    for (const place of [...this.places].reverse()) {
      const after = this.all.findIndex((row) => row.id === place.after);
      if (after >= 0 && after < at) {
        this.put(after, await this.some(PAGE, place.token));
        return;
      }
    }
  }

  /** Read what follows, if anything does. */
  next(size = PAGE): Promise<void> {
    this.reading ??= this.following(size).finally(() => { this.reading = undefined; });
    return this.reading;
  }

  private async following(size: number): Promise<void> {
    const token = this.token, last = this.all.at(-1);
    if (!token || !last) return;
    const page = await this.some(size, token);
    if (this.token !== token) return; // the list was read anew meanwhile, and ended
    this.places.push({ after: last.id, token });
    const there = new Set(this.all.map((row) => row.id));
    this.all = [...this.all, ...page.items.filter((row) => !there.has(row.id))];
    this.token = page.next_page_token;
  }

  /** Put a page in place of what was known after the row `after`; −1: from the beginning. */
  private put(after: number, page: Page<TaskRow>): void {
    const there = new Set(page.items.map((row) => row.id));
    const before = this.all.slice(0, after + 1).filter((row) => !there.has(row.id));
    if (!page.next_page_token) {
      this.all = [...before, ...page.items];
      this.token = "";
      return;
    }
    const last = page.items.at(-1)?.id;
    const end = this.all.findIndex((row) => row.id === last);
    // What has left the list is before the page's last row; what was pushed out of the page comes after it.
    const rest = this.all.slice(Math.max(end, after) + 1).filter((row) => !there.has(row.id));
    this.all = [...before, ...page.items, ...rest];
    if (!rest.length) this.token = page.next_page_token;
  }

  private async some(size: number, token: string): Promise<Page<TaskRow>> {
    let page = await this.read(size, token);
    for (let tries = 0; !page.items.length && page.next_page_token && tries < EMPTY_MAX; tries++) {
      page = await this.read(size, page.next_page_token);
    }
    return page;
  }
}
