/*
** What is put right around a fork: the child goes on with the one thread that forked.
*/
#ifndef lt_fork_h
#define lt_fork_h

/* Sees to every fork from now on; any number of calls. 0 or an errno. */
int lt_fork_setup(void);

#endif
