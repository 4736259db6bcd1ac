/* SPDX-License-Identifier: Apache-2.0 */
/* Recording and takeover of one stream, as docs/design/protocol.md says: owners that may stall, die and come back late; writes whose outcome
 * is unknown and that may be applied later; a recorder that sends again what was not acknowledged. Checked at every moment:
 *
 *	kept     what was acknowledged is there, and would be shown to a reader who starts now
 *	once     nothing is shown twice
 *	fenced   once an owner is ready, no write of an earlier one changes its head or a chunk
 *
 * Rules are switched off by macros, each of which must then be found: tests/model/run does both. */

#ifndef OWNERS
#define OWNERS 2 /* tenures, one after the other or side by side */
#endif
#ifndef FRAGMENTS
#define FRAGMENTS 2
#endif
#ifndef PARKED
#define PARKED 1 /* writes that may be under way at a time after their sender gave up waiting */
#endif
#define ROLLS  2              /* chunks an owner may begin */
#define CHUNKS (OWNERS * ROLLS)
#define NONE   255

/* --- the store: attributes and bodies, one atomic guarded change at a time ------------------------------------------------- */
byte h_epoch, h_owner = NONE, h_ver, h_last; /* head: last: durable in sealed and indexed chunks */
bool h_intent[CHUNKS];
bool c_there[CHUNKS], c_sealed[CHUNKS];
byte c_ep[CHUNKS], c_len[CHUNKS], c_first[CHUNKS], c_last[CHUNKS]; /* size counts batches (of one fragment) and the seal */
byte i_ep, i_n, i_records[CHUNKS];

/* --- the recorder's side, and what is checked ------------------------------------------------------------------------------- */
bool acked[FRAGMENTS + 1];
byte speaks_to = NONE;         /* the owner that the recorder talks to */
byte ready_epoch;              /* of the latest owner that was ready */

mtype = { HEAD, TAKE, CREATE, HUSK, FENCE, APPEND, SEAL, INDEX };
mtype = { DONE, REFUSED, UNKNOWN };

/* A write on its way: kind, epoch of its sender, chunk, and two numbers of its kind. */
typedef op_t { bool waits; mtype kind; byte ep, c, x, y; bool adds, drops }
op_t parked[PARKED];

#define CHANGES(e) assert(e >= ready_epoch) /* fenced */

/* The rules that can be switched off. */
#ifdef NO_HEAD_EPOCH
#define HEAD_IS_MINE(o) true
#else
#define HEAD_IS_MINE(o) (h_epoch == o.ep)
#endif
#ifdef NO_CHUNK_EPOCH
#define CHUNK_IS_MINE(o) true
#else
#define CHUNK_IS_MINE(o) (c_ep[o.c] == o.ep)
#endif
#ifdef NO_LENGTH
#define LENGTH_IS(o) true
#else
#define LENGTH_IS(o) (c_len[o.c] == o.x)
#endif
#ifdef NO_INDEX_VERSION
#define VERSION_IS(o) true
#else
#define VERSION_IS(o) (i_ep == o.x && i_n == o.y)
#endif
#ifdef NO_SETTLE
#define GIVES_UP true
#else
#define GIVES_UP false
#endif
#ifdef NO_HUSK
#define HUSKS false
#else
#define HUSKS true
#endif
#ifdef NO_FENCE
#define FENCES false
#else
#define FENCES true
#endif
#ifdef NO_INTENT
#define INTENDS false
#else
#define INTENDS true
#endif
#ifdef ACK_EARLY
#define EARLY true
#else
#define EARLY false
#endif
#ifdef INDEX_FIRST
#define INDEXES_FIRST true
#else
#define INDEXES_FIRST false
#endif
#ifdef OPEN_FIRST
#define OPENS_FIRST true
#else
#define OPENS_FIRST false
#endif
#ifdef NO_HEAD_CHECK
#define CHECKS_HEAD false
#else
#define CHECKS_HEAD true
#endif

/* HEAD: x the version it expects, y the new `last`; adds or drops the intent of c. TAKE: x the epoch it goes above. APPEND, SEAL: x the
 * length it expects. CREATE, APPEND: y the fragment. INDEX: (x, y) the version it expects. */
inline apply(o, result) {
	d_step {
		result = REFUSED;
		if
		:: o.kind == HEAD && h_ver == o.x && HEAD_IS_MINE(o) -> CHANGES(o.ep); h_ver++; h_last = o.y; result = DONE;
			if :: o.adds -> h_intent[o.c] = true :: o.drops -> h_intent[o.c] = false :: else fi
		:: o.kind == TAKE && h_epoch < o.ep -> h_epoch = o.ep; h_owner = o.c; result = DONE
		:: o.kind == CREATE && !c_there[o.c] ->
			CHANGES(o.ep); c_there[o.c] = true; c_ep[o.c] = o.ep; c_len[o.c] = 1; c_first[o.c] = o.y; c_last[o.c] = o.y; result = DONE
		:: o.kind == HUSK && !c_there[o.c] ->
			CHANGES(o.ep); c_there[o.c] = true; c_ep[o.c] = o.ep; c_len[o.c] = 0; result = DONE
		:: o.kind == FENCE && c_there[o.c] && c_ep[o.c] < o.ep -> CHANGES(o.ep); c_ep[o.c] = o.ep; result = DONE
		:: o.kind == APPEND && c_there[o.c] && CHUNK_IS_MINE(o) && LENGTH_IS(o) -> CHANGES(o.ep); c_len[o.c] = o.x + 1; c_last[o.c] = o.y; result = DONE;
			if :: c_first[o.c] == 0 -> c_first[o.c] = o.y :: else fi
		:: o.kind == SEAL && c_there[o.c] && c_ep[o.c] == o.ep && c_len[o.c] == o.x ->
			CHANGES(o.ep); c_len[o.c] = o.x + 1; c_sealed[o.c] = true; result = DONE
		/* a record that an earlier owner had on its way may still come before the new owner's first write to the partition: it is
		 * the record that the new owner would write, and then finds there */
		:: o.kind == INDEX && VERSION_IS(o) -> i_records[o.c]++; i_ep = o.ep; i_n++; result = DONE
		:: else
		fi
	}
}

/* Sends a write: it is applied and answered; or applied, and the answer is lost; or it is lost for now and may be applied any time. */
inline send(o, result) {
	if
	:: apply(o, result)
	:: apply(o, result); result = UNKNOWN
	:: result = UNKNOWN;
		if
		:: atomic { !parked[0].waits -> parked[0].waits = true; parked[0].kind = o.kind; parked[0].ep = o.ep; parked[0].c = o.c;
			parked[0].x = o.x; parked[0].y = o.y; parked[0].adds = o.adds; parked[0].drops = o.drops }
		:: skip /* never */
		fi
	fi
}

active proctype late() {
	mtype r;
end:	do
	:: atomic { parked[0].waits -> apply(parked[0], r); parked[0].waits = false }
	od
}

/* Sends until the outcome is known (rule S): the same bytes under the same guard. */
inline settle(o, result) {
	do
	:: send(o, result);
		if
		:: result == UNKNOWN && GIVES_UP -> result = DONE; break
		:: result == UNKNOWN && !GIVES_UP -> skip
		:: else -> break
		fi
	od
}

#define FRAGMENTS_IN(c) (c_len[c] - (c_sealed[c] -> 1 : 0))

/* What a reader would see, counted a fragment. */
active proctype watcher() {
	byte c, f, seen;
	atomic {
		for (f : 1 .. FRAGMENTS) {
			seen = 0;
			for (c : 0 .. CHUNKS - 1) {
				if
				:: c_there[c] && c_first[c] && f >= c_first[c] && f < c_first[c] + FRAGMENTS_IN(c) &&
					(h_intent[c] || i_records[c]) -> seen++
				:: else
				fi
			}
			assert(seen <= 1);                 /* once */
			assert(!acked[f] || seen == 1);    /* kept */
		}
		for (c : 0 .. CHUNKS - 1) {
			assert(i_records[c] <= 1)
		}
		c = 0; f = 0; seen = 0
	}
}

inline maybe_die() { if :: skip :: goto over fi }
inline stop_if_fenced() { if :: h_epoch > mine -> goto over :: else fi }

/* One head write that adds or drops an intent; over when another owns the stream. */
inline write_head(chunk, add, drop, last) {
	do
	:: o.kind = HEAD; o.ep = mine; o.c = chunk; o.x = ver; o.y = last; o.adds = add; o.drops = drop;
		settle(o, r);
		if
		:: r == DONE -> ver++; break
		:: r == REFUSED ->
			/* read the head once: it was done, or another owns the stream */
			if
			:: atomic { h_epoch == mine && h_ver == ver + 1 -> ver++ } break
			:: atomic { h_epoch == mine && h_ver == ver -> skip }
			:: h_epoch > mine -> goto over
			fi
		fi
	od
}

inline index_chunk(chunk) {
	do
	:: atomic { seen_ep = i_ep; seen_n = i_n; has = (i_records[chunk] > 0) }
		if :: seen_ep > mine -> goto over :: else fi;
		if
		:: has -> break
		:: else ->
			o.kind = INDEX; o.ep = mine; o.c = chunk; o.x = seen_ep; o.y = seen_n;
			settle(o, r);
			if :: r == DONE -> break :: else -> skip fi /* refused: read again */
		fi
	od
}

/* Seals at the length that was read; over when another has fenced the chunk. */
inline seal_chunk(chunk) {
	do
	:: atomic { size = c_len[chunk]; has = c_sealed[chunk] }
		if :: has -> break :: else fi;
		o.kind = SEAL; o.ep = mine; o.c = chunk; o.x = size;
		settle(o, r);
		if
		:: r == DONE -> break
		:: else -> if :: c_ep[chunk] > mine -> goto over :: else -> skip fi
		fi
	od
}

inline fence_chunk(chunk) {
	do
	:: o.kind = FENCE; o.ep = mine; o.c = chunk;
		has = c_there[chunk];
		if
		:: has -> settle(o, r);
			if
			:: r == DONE -> break
			:: else -> if :: c_ep[chunk] == mine -> break :: c_ep[chunk] > mine -> goto over :: else -> skip fi
			fi
		:: !has && !HUSKS -> break
		:: !has && HUSKS ->
			o.kind = HUSK;
			settle(o, r);
			if :: r == DONE -> break :: else -> skip fi /* it is there after all: fence it */
		fi
	od
}

proctype owner(byte id) {
	op_t o;
	mtype r;
	byte mine, ver, c, k, next, size, seen_ep, seen_n, last;
	bool has, open, wanted[CHUNKS];

	/* Take 1-3 */
	mine = h_epoch + 1;
	o.kind = TAKE; o.ep = mine; o.c = id;
	settle(o, r);
	/* epoch, owner and body come from one read */
	atomic {
		if :: CHECKS_HEAD && (h_epoch != mine || h_owner != id) -> goto over :: else fi;
		ver = h_ver; next = h_last + 1;
		for (c : 0 .. CHUNKS - 1) { wanted[c] = h_intent[c] }
	}
	maybe_die();
	atomic { if :: OPENS_FIRST && h_epoch == mine && h_owner == id -> ready_epoch = mine; speaks_to = id :: else fi }
	/* Take 4: every intent's chunk is fenced, then looked at */
	for (c : 0 .. CHUNKS - 1) {
		if
		:: wanted[c] ->
			if :: FENCES -> fence_chunk(c) :: else fi;
			atomic { if :: c_there[c] && c_first[c] && c_last[c] + 1 > next -> next = c_last[c] + 1 :: else fi }
		:: else
		fi
	}
	maybe_die();
	/* Take 6: READY */
	atomic {
		if :: !CHECKS_HEAD || (h_epoch == mine && h_owner == id) -> skip :: else -> goto over fi;
		if :: !OPENS_FIRST -> ready_epoch = mine; speaks_to = id :: else fi
	}
	/* Take 7: behind it, seal, index, clear */
	last = next - 1;
	for (c : 0 .. CHUNKS - 1) {
		if
		:: wanted[c] ->
			seal_chunk(c);
			index_chunk(c);
			write_head(c, false, true, last);
			maybe_die()
		:: else
		fi
	}
	/* Record */
	k = 0;
	do
	:: k < ROLLS && next <= FRAGMENTS && speaks_to == id ->
		c = id * ROLLS + k; k++;
		if :: INTENDS -> write_head(c, true, false, last) :: else fi;
		maybe_die();
		open = false; size = 0;
		do
		:: next <= FRAGMENTS && speaks_to == id ->
			if :: EARLY -> acked[next] = true :: else fi;
			o.ep = mine; o.c = c; o.x = size; o.y = next;
			if :: open -> o.kind = APPEND :: else -> o.kind = CREATE fi;
			settle(o, r);
			if
			:: r == DONE -> skip
			:: else ->
				/* it was done, or another has fenced the chunk */
				if
				:: atomic { c_there[c] && c_ep[c] == mine && c_len[c] == size + 1 && c_last[c] == next -> skip }
				:: else -> goto over
				fi
			fi;
			open = true; size++;
			acked[next] = true;
			next++;
			maybe_die()
		:: break
		od;
		if
		:: open ->
			if
			:: INDEXES_FIRST -> index_chunk(c); write_head(c, false, true, next - 1); seal_chunk(c)
			:: else -> seal_chunk(c); index_chunk(c); last = next - 1; write_head(c, false, true, last)
			fi
		:: else -> goto over /* nothing went into it: the next owner deals with the intent */
		fi
	:: break
	od;
over:
	skip
}

init {
	byte i;
	atomic {
		for (i : 0 .. OWNERS - 1) { run owner(i) }
	}
}
