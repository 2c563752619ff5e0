#include "src/thread/observer.h"

const lt_Observer *lt_observer;
