/*
 * The source transform of F(4x4, 3x3) in s16 at the points 0, 1, -1, 2, -2 and infinity, along one axis (Lavin & Gray,
 * CVPR 2016): what the exact kernel and the one that rounds in Winograd's domain share. The including file has defined
 * vi, vi_add16, vi_sub16 and vi_shl16.
 */
#ifndef KERNELS_VECTOR_U8S8_WINOGRAD_SRC_H
#define KERNELS_VECTOR_U8S8_WINOGRAD_SRC_H

/* A line of values to as many points; without the last ones unless whole. */
ALWAYS_INLINE void winograd_src_line(const vi d[6], vi v[6], const bool whole)
{
    vi a = vi_sub16(d[4], vi_shl16(d[2], 2)), b = vi_sub16(d[3], vi_shl16(d[1], 2));
    vi c = vi_sub16(d[4], d[2]), e = vi_sub16(d[3], d[1]), e2 = vi_add16(e, e);
    v[0] = vi_add16(vi_shl16(vi_sub16(d[0], d[2]), 2), c);
    v[1] = vi_add16(a, b);
    v[2] = vi_sub16(a, b);
    v[3] = vi_add16(c, e2);
    v[4] = vi_sub16(c, e2);
    if (whole)
        v[5] = vi_sub16(vi_sub16(d[5], d[3]), vi_shl16(e, 2));
}

#endif
