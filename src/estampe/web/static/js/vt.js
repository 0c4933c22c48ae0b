// A terminal of 80 columns and 24 rows, as serial consoles take for granted: of the VT102 what boot loaders, kernels, shells and
// editors use (https://vt100.net/docs/vt102-ug/). It knows nothing of pages: bytes in, cells out.
const BLANK = Object.freeze({ text: " ", style: "" });

export class Vt {
  static MOST_LEFT = 2000; // lines that are kept above the screen

  constructor(columns = 80, rows = 24) {
    this.columns = columns;
    this.rows = rows;
    this.decoder = new TextDecoder("utf-8", { fatal: false });
    this.left = [];
    this.reset();
  }

  reset() {
    this.grid = Array.from({ length: this.rows }, () => this.blankLine());
    this.row = this.column = 0;
    this.top = 0;
    this.bottom = this.rows - 1;
    this.style = { bold: false, reverse: false, colour: null };
    this.saved = [0, 0];
    this.wraps = true;
    this.isFull = false; // the last column was written: the next character wraps first
    this.state = "text";
    this.parameters = "";
    this.changed = new Set(this.grid.keys());
  }

  blankLine() { return Array(this.columns).fill(BLANK); }

  takeChanged() {
    const found = [...this.changed];
    this.changed.clear();
    return found;
  }

  takeLeft() { return this.left.splice(0).slice(-Vt.MOST_LEFT); }

  // Gives what the server asked for, or nothing.
  write(bytes) {
    this.answer = "";
    this.changed.add(this.row); // the cursor leaves it
    for (const text of this.decoder.decode(bytes, { stream: true })) this.take(text);
    this.changed.add(this.row);
    return this.answer;
  }

  take(text) {
    const code = text.codePointAt(0);
    if (this.state === "string") { // a title, say: nothing of ours
      if (code === 0x07) this.state = "text";
      else if (code === 0x1b) this.state = "string-end";
    } else if (this.state === "string-end") this.state = "text";
    else if (code === 0x1b) this.state = "escape";
    else if (code < 0x20 || code === 0x7f) this.control(code);
    else if (this.state === "text") this.put(text);
    else if (this.state === "escape") this.escape(text);
    else if (this.state === "designation") this.state = "text";
    else if (this.state === "sequence") this.sequence(text);
  }

  control(code) {
    if (code === 0x08) this.move(this.row, this.column - 1);
    else if (code === 0x09) this.move(this.row, (this.column >> 3) * 8 + 8);
    else if (code >= 0x0a && code <= 0x0c) this.lineFeed();
    else if (code === 0x0d) this.move(this.row, 0);
  }

  put(text) {
    if (this.isFull && this.wraps) {
      this.move(this.row, 0);
      this.lineFeed();
    }
    this.grid[this.row][this.column] = { text, style: this.styleName() };
    this.changed.add(this.row);
    this.isFull = this.column === this.columns - 1;
    if (!this.isFull) this.column++;
  }

  styleName() {
    const { bold, reverse, colour } = this.style;
    return [bold && "is-bold", reverse && "is-reverse", colour !== null && `is-colour-${colour}`].filter(Boolean).join(" ");
  }

  move(row, column) {
    this.changed.add(this.row);
    this.row = Math.max(0, Math.min(this.rows - 1, row));
    this.column = Math.max(0, Math.min(this.columns - 1, column));
    this.changed.add(this.row);
    this.isFull = false;
  }

  lineFeed() {
    if (this.row === this.bottom) this.scroll(1);
    else this.move(this.row + 1, this.column);
  }

  // Positive: up, a blank line comes in below. What leaves the top of the whole screen is kept.
  scroll(count, from = this.top) {
    for (let n = 0; n < Math.min(Math.abs(count), this.rows); n++) {
      const [out, into] = count > 0 ? [from, this.bottom] : [this.bottom, from];
      const [gone] = this.grid.splice(out, 1);
      this.grid.splice(into, 0, this.blankLine());
      if (count > 0 && from === 0) this.left.push(gone);
    }
    for (let row = from; row <= this.bottom; row++) this.changed.add(row);
  }

  escape(text) {
    this.state = "text";
    if (text === "[") { this.state = "sequence"; this.parameters = ""; }
    else if ("]PX^_".includes(text)) this.state = "string";
    else if ("()*+#%".includes(text)) this.state = "designation";
    else if (text === "c") this.reset();
    else if (text === "D") this.lineFeed();
    else if (text === "E") { this.move(this.row, 0); this.lineFeed(); }
    else if (text === "M") { if (this.row === this.top) this.scroll(-1); else this.move(this.row - 1, this.column); }
    else if (text === "7") this.saved = [this.row, this.column];
    else if (text === "8") this.move(...this.saved);
  }

  sequence(text) {
    const code = text.codePointAt(0);
    if (code < 0x40) { this.parameters = (this.parameters + text).slice(0, 64); return; }
    this.state = "text";
    const isPrivate = /^[<=>?]/.test(this.parameters);
    const given = this.parameters.replace(/[^0-9;]/g, "").split(";").map((each) => parseInt(each, 10) || 0);
    if (isPrivate) { if (given.includes(7) && "hl".includes(text)) this.wraps = text === "h"; return; }
    this.act(text, given, Math.max(1, given[0]));
  }

  act(text, given, count) {
    switch (text) {
      case "A": this.move(this.row - count, this.column); break;
      case "B": case "e": this.move(this.row + count, this.column); break;
      case "C": case "a": this.move(this.row, this.column + count); break;
      case "D": this.move(this.row, this.column - count); break;
      case "E": this.move(this.row + count, 0); break;
      case "F": this.move(this.row - count, 0); break;
      case "G": case "`": this.move(this.row, count - 1); break;
      case "d": this.move(count - 1, this.column); break;
      case "H": case "f": this.move(count - 1, Math.max(1, given[1] ?? 1) - 1); break;
      case "J": this.erase(given[0]); break;
      case "K": this.eraseLine(given[0]); break;
      case "L": this.scroll(-count, this.row); break;
      case "M": this.scrollLines(count); break;
      case "S": this.scroll(count); break;
      case "T": this.scroll(-count); break;
      case "P": this.shift(count, 0); break;
      case "@": this.shift(0, count); break;
      case "X": this.fill(this.row, this.column, this.column + count); break;
      case "m": this.setStyle(given); break;
      case "r": this.setRegion(given); break;
      case "s": this.saved = [this.row, this.column]; break;
      case "u": this.move(...this.saved); break;
      case "n": if (given[0] === 6) this.answer += `\x1b[${this.row + 1};${this.column + 1}R`; else if (given[0] === 5) this.answer += "\x1b[0n"; break;
      case "c": this.answer += "\x1b[?6c"; break; // a VT102
    }
  }

  fill(row, from, to) {
    this.grid[row].fill(BLANK, from, Math.min(to, this.columns));
    this.changed.add(row);
  }

  erase(how) {
    if (how >= 2 && this.row + this.column > 0) this.left.push(...this.grid.filter((line) => line.some((cell) => cell !== BLANK)));
    for (let row = how === 0 ? this.row + 1 : 0; row < (how === 1 ? this.row : this.rows); row++) this.fill(row, 0, this.columns);
    if (how < 2) this.eraseLine(how);
  }

  eraseLine(how) { this.fill(this.row, how === 0 ? this.column : 0, how === 1 ? this.column + 1 : this.columns); }

  // Lines below come up; what goes here was not at the top, and is not kept.
  scrollLines(count) {
    const kept = this.left.length;
    this.scroll(count, this.row);
    this.left.length = kept;
  }

  shift(gone, added) {
    const line = this.grid[this.row];
    line.splice(this.column, Math.min(gone, this.columns - this.column));
    line.splice(this.column, 0, ...Array(Math.min(added, this.columns)).fill(BLANK));
    while (line.length < this.columns) line.push(BLANK);
    line.length = this.columns;
    this.changed.add(this.row);
  }

  setStyle(given) {
    for (let n = 0; n < given.length; n++) {
      const one = given[n];
      if (one === 0) this.style = { bold: false, reverse: false, colour: null };
      else if (one === 1) this.style.bold = true;
      else if (one === 22) this.style.bold = false;
      else if (one === 7) this.style.reverse = true;
      else if (one === 27) this.style.reverse = false;
      else if (one >= 30 && one <= 37) this.style.colour = one - 30;
      else if (one >= 90 && one <= 97) this.style.colour = one - 90;
      else if (one === 39) this.style.colour = null;
      else if (one === 38 || one === 48) n += given[n + 1] === 5 ? 2 : 4; // of 256 or more: not shown
    }
  }

  setRegion(given) {
    const top = Math.max(1, given[0]) - 1;
    const bottom = Math.min(this.rows, given[1] || this.rows) - 1;
    if (top >= bottom) return;
    this.top = top;
    this.bottom = bottom;
    this.move(0, 0);
  }
}
