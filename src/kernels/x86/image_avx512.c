#include "kernels/x86/image_tmpl.h"
