/* The oracle's scenarios in one program: see oracle.h. tests/system/oracle.py runs it twice. */
#include "tests/oracle/api.h"
#include "tests/oracle/apic.h"
#include "tests/oracle/cpu.h"
#include "tests/oracle/events.h"
#include "tests/oracle/registers.h"
