#include "src/base/probe.h"

_Atomic(const lt_Probe *) lt_probe;
