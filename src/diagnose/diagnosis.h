/*
** Diagnosis, as threads and runtimes call it: the table of observer.h, filled.
*/
#ifndef lt_diagnosis_h
#define lt_diagnosis_h

#include "src/thread/observer.h"

extern const lt_Observer lt_diagnosis;

#endif
