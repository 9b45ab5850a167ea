// Wall clock and presentation time.

/** A hole in the wall clock larger than this is closed up, not waited for. */
const HOLE_S_MAX = 30;

/** Maps wall clock to presentation time, one constant shift a discontinuity. */
export class Timeline {
  constructor(discontinuity, origin_ms) {
    this.eras = new Map([[discontinuity, { shift_ms: origin_ms, from_s: 0 }]]);
    this.newest = this.eras.get(discontinuity);
    this.end_s = 0;
  }

  place(discontinuity, wall_ms) {
    let era = this.eras.get(discontinuity);
    if (!era) {
      let shift_ms = this.newest.shift_ms;
      const hole_s = (wall_ms - shift_ms) / 1000 - this.end_s;
      if (hole_s < -1 || hole_s > HOLE_S_MAX) shift_ms = wall_ms - this.end_s * 1000;
      era = { shift_ms, from_s: (wall_ms - shift_ms) / 1000 };
      this.eras.set(discontinuity, era);
      this.newest = era;
    }
    return (wall_ms - era.shift_ms) / 1000;
  }

  wallAt_ms(time_s) {
    let found = null;
    for (const era of this.eras.values()) {
      if (!found || (era.from_s <= time_s + 0.01 && era.from_s >= found.from_s)) found = era;
    }
    return found.shift_ms + time_s * 1000;
  }
}
