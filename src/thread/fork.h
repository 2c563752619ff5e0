/*
** Forks. The child of a fork has one thread, the one that forked, and all memory as it was at that
** moment: locks that absent threads hold, lists of threads that are not there. Here is put right
** what of this belongs to lthread, so that the child goes on, its thread being the main one.
*/
#ifndef lt_fork_h
#define lt_fork_h

/* Registers the handlers for every fork from now on; may be called again. 0 or an errno. */
int lt_fork_setup(void);

#endif
