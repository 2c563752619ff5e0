/*
** The table through which threads and runtimes are diagnosed.
*/
#ifndef lt_diagnosis_h
#define lt_diagnosis_h

#include "src/thread/observer.h"

extern const lt_Observer lt_diagnosis;

#endif
