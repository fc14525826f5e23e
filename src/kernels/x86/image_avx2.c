#include "kernels/x86/image.h"
