/*
** The collector of cycles, src/object/cycles.c: it writes objects down one after the other, while
** threads take references and give them back, and compares afterwards.
**
** Invariant: what it clears nobody can reach. It holds because what is as it was written down has
** been so at one moment, between the last writing down and the first comparison, for all of it: the
** word of an object shows whether a reference was taken since, and a table counts its changes.
**
** Collector: add_node, write_down, mark_used with mark_reachable and has_changed, clear_garbage.
** Threads: lt_object_retain and lt_object_release of src/object/object.c with the bounds of the
** number of takings, and tables and queues with one field each, whose lock is an atomic block: a
** reference is also moved into a field and out of it, and then not taken.
*/
#define OBJECTS 2
#define NONE OBJECTS
#ifndef WITHOUT_BOUND_OF_TAKINGS
#define STEPS 7
#else
#define STEPS 10
#endif

bool is_there[OBJECTS];
byte count[OBJECTS];   /* the word: how many references there are, */
byte takings[OBJECTS]; /* and how often one was taken */
byte field[OBJECTS];
byte changes[OBJECTS];
byte hand[OBJECTS]; /* references that threads have */

/* The collector's */
bool is_node[OBJECTS];
byte written_count[OBJECTS];
byte written_field[OBJECTS];
byte written_changes[OBJECTS];
byte internal[OBJECTS];
bool has_changed[OBJECTS];
bool in_use[OBJECTS];

inline retain(object) {
  count[object]++;
#ifdef WITHOUT_COUNTING_TAKINGS
  skip
#else
#ifndef WITHOUT_BOUND_OF_TAKINGS
  takings[object] = 1 /* what it was at first it is never again */
#else
  takings[object] = 1 - takings[object]
#endif
#endif
}

/* With the last one goes the object, and what it has. */
inline release(object) {
  target = object;
  do
  :: target == NONE -> break
  :: else ->
    count[target]--;
    if
    :: count[target] > 0 -> break
    :: else ->
      is_there[target] = false;
      last = target;
      target = field[last];
      field[last] = NONE
    fi
  od
}

proctype Threads() {
  byte steps = 0;
  byte object;
  byte other;
  byte target;
  byte last;
  do
  :: steps == STEPS -> break
  :: steps < STEPS ->
    steps++;
    atomic {
      select (object : 0 .. OBJECTS - 1);
      select (other : 0 .. OBJECTS - 1);
      if
      :: hand[object] > 0 && field[object] != NONE -> /* reads the field */
        other = field[object];
        retain(other);
        hand[other]++
      :: hand[object] > 0 && field[object] != NONE -> /* takes out what is there */
        hand[field[object]]++;
        field[object] = NONE;
        changes[object]++
      :: hand[object] > 0 && hand[other] > 0 && field[object] == NONE -> /* puts in what it has */
        hand[other]--;
        field[object] = other;
        changes[object]++
      :: hand[object] > 0 -> /* drops what it has */
        hand[object]--;
        release(object)
      :: else
      fi;
      object = 0;
      other = 0;
      target = 0;
      last = 0
    }
  od
}

inline add_node(object) {
  atomic {
    if
    :: is_there[object] ->
      is_node[object] = true;
      count[object]++;
      takings[object] = 0;
      written_count[object] = count[object]
    :: else
    fi
  }
}

inline write_down(object) {
  atomic {
    written_field[object] = field[object];
    written_changes[object] = changes[object];
    if
    :: field[object] != NONE && is_node[field[object]] -> internal[field[object]]++
    :: else
    fi
  }
}

inline compare(object) {
#ifndef WITHOUT_COMPARING_CHANGES
  has_changed[object] = changes[object] != written_changes[object];
#endif
  atomic {
#ifndef WITHOUT_COMPARING_REFERENCES
    has_changed[object] = has_changed[object] || count[object] != written_count[object] ||
                          takings[object] != 0
#else
    skip
#endif
  }
}

inline mark_reachable(object) {
  node = object;
  do
  :: node == NONE || !is_node[node] || in_use[node] -> break
  :: else ->
    in_use[node] = true;
    node = written_field[node]
  od
}

inline check(object) {
  assert(!is_node[object] || in_use[object] || hand[object] == 0);
  assert(hand[object] == 0 || field[object] == NONE || !is_node[field[object]] ||
         in_use[field[object]])
}

proctype Collector() {
  byte i;
  byte node;
  for (i : 0 .. OBJECTS - 1) {
    add_node(i)
  }
#ifdef WITHOUT_LOOKING_AT_ALL_FIRST
  for (i : 0 .. OBJECTS - 1) {
    if
    :: is_node[i] ->
      atomic {
        takings[i] = 0;
        written_count[i] = count[i]
      }
      write_down(i);
      compare(i)
    :: else
    fi
  }
#else
  for (i : 0 .. OBJECTS - 1) {
    if
    :: is_node[i] -> write_down(i)
    :: else
    fi
  }
  for (i : 0 .. OBJECTS - 1) {
    if
    :: is_node[i] -> compare(i)
    :: else
    fi
  }
#endif
  atomic {
    for (i : 0 .. OBJECTS - 1) {
      if
      :: is_node[i] && written_count[i] - 1 > internal[i] -> mark_reachable(i)
      :: else
      fi
    }
    for (i : 0 .. OBJECTS - 1) {
      if
#ifndef WITHOUT_MARKING_FROM_THE_CHANGED
      :: is_node[i] && !in_use[i] && has_changed[i] -> mark_reachable(i)
#else
      :: is_node[i] && !in_use[i] && has_changed[i] -> in_use[i] = true
#endif
      :: else
      fi
    }
    for (i : 0 .. OBJECTS - 1) {
      check(i)
    }
  }
}

/* Two that refer to each other, of which a thread has one. */
init {
  d_step {
    is_there[0] = true;
    is_there[1] = true;
    field[0] = 1;
    field[1] = 0;
    hand[1] = 1;
    count[0] = 1;
    count[1] = 2
  }
  run Threads();
  run Collector()
}
