/* What report.html has around its sections: the head with style, script and the policy that lets nothing else in. */
#include "report/page.h"

#include "echoquant/data.h"
#include "echoquant/picture.h"

#include <stdlib.h>
#include <string.h>

/* Light and dark by the setting of the reader (eq_picture_css), light in print. Text keeps a contrast of 4.5:1 in
 * both. What is wide scrolls in its own box. */
static const char style[] =
    "*{box-sizing:border-box}html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}\n"
    "@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}\n"
    "body{margin:0 auto;max-width:76rem;padding:1.6rem clamp(.9rem,3vw,2rem) 4rem;color:var(--ink);"
    "background:var(--paper);\n"
    "font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;overflow-wrap:break-word}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:0 0 .2rem}h2{font-size:1.22rem;line-height:1.3;margin:2.6rem 0 .6rem}\n"
    "p{margin:.5rem 0}p,li{max-width:48rem}ul{padding-left:1.2rem;margin:.5rem 0}li{margin:.2rem 0}\n"
    "a{color:var(--s1)}.lead{color:var(--soft)}code{font-size:.92em}\n"
    ".skip{position:absolute;left:-99rem;padding:.4rem .8rem;background:var(--paper);border:2px solid var(--s1)}\n"
    ".skip:focus{left:1rem;top:1rem;z-index:1}:focus-visible{outline:2px solid var(--s1);outline-offset:2px}\n"
    "nav{margin:1.2rem 0;border-block:1px solid var(--band);padding:.5rem 0}nav ul{display:flex;flex-wrap:wrap;"
    "gap:.1rem 1.3rem;list-style:none;margin:0;padding:0}\n"
    ".note{border-left:4px solid var(--s2);background:var(--wash);padding:.5rem .9rem;margin:.7rem 0}\n"
    "#verdict>p{font-size:1.12rem;max-width:56rem}#verdict{border-left:4px solid var(--s1);padding-left:1rem}"
    "#verdict h2{margin-top:1rem}\n"
    ".wide{overflow-x:auto;max-width:100%;margin:.8rem 0}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}\n"
    ".unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}\n"
    "caption{text-align:left;color:var(--soft);padding:0 0 .35rem;font-size:.92rem}\n"
    "th,td{padding:.36rem .65rem;border-bottom:1px solid var(--grid);text-align:right;vertical-align:top}\n"
    "thead th{color:var(--soft);border-bottom:2px solid var(--band);vertical-align:bottom}th{font-weight:600}\n"
    ".t1 :is(th,td):nth-child(1),.t2 :is(th,td):nth-child(-n+2),.t3 :is(th,td):nth-child(-n+3),"
    ".t4 :is(th,td):nth-child(-n+4),.t9 :is(th,td){text-align:left}\n"
    "tbody :is(th,td){white-space:nowrap}.t9 td,.t3 td{white-space:normal;overflow-wrap:anywhere;min-width:5rem}\n"
    "tbody tr:hover{background:var(--wash)}\n"
    "th button{all:unset;cursor:pointer;font:inherit}th button:focus-visible{outline:2px solid var(--s1)}\n"
    "th[aria-sort] button::after{content:' \\2191'}th[aria-sort=descending] button::after{content:' \\2193'}\n"
    ".results td:nth-child(n+3):nth-child(-n+5){background:var(--wash);font-weight:600}\n"
    ".pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1.6rem 1.6rem;"
    "margin:.9rem 0}\n"
    "figure{margin:0;min-width:0}figure.broad{grid-column:1/-1}\n"
    "@media print,(min-width:50rem){figure.double{grid-column:span 2}}\n"
    "figure svg{display:block;width:100%;height:auto}figure img{display:block;max-width:100%;height:auto}\n"
    "figure.double svg{max-width:46rem}"
    "figcaption{color:var(--soft);font-size:.88rem;line-height:1.45;margin-top:.3rem;max-width:44rem}\n"
    "figcaption b{color:var(--ink)}figcaption code{white-space:nowrap}\n"
    "details{margin:1.4rem 0}summary{cursor:pointer}summary h2{display:inline;margin:0}\n"
    "footer{margin-top:3rem;border-top:1px solid var(--band);color:var(--soft)}\n"
    "@page{margin:14mm}@media print{body{max-width:none;padding:0;font-size:10pt}nav,.skip{display:none}\n"
    "figure,tr,.note,#verdict{break-inside:avoid}h2,caption,thead{break-after:avoid}thead{display:table-header-group}\n"
    ".wide{overflow:visible}table{font-size:7.5pt}th,td,tbody :is(th,td){padding:.2rem .3rem;"
    "white-space:normal}\n.many{font-size:5.8pt}.many :is(th,td){padding:.15rem .18rem}\n"
    ".pictures{grid-template-columns:1fr 1fr}.wide>div{min-width:0!important}a{color:inherit;text-decoration:none}\n"
    "details::details-content{content-visibility:visible;block-size:auto}details:not([open])>*{display:block}}\n";

/* The page is complete without it: it sorts tables by a click on a header, and opens what is folded for print. */
static const char script[] =
    "for(const t of document.querySelectorAll('table')){const b=t.tBodies[0];if(!b||b.rows.length<3)continue;\n"
    "[...t.tHead.rows[0].cells].forEach((h,i)=>{const k=document.createElement('button');k.append(...h.childNodes);\n"
    "h.append(k);k.title='sort';k.onclick=()=>{const d=h.getAttribute('aria-sort')==='ascending'?-1:1;\n"
    "for(const o of t.tHead.rows[0].cells)o.removeAttribute('aria-sort');\n"
    "h.setAttribute('aria-sort',d>0?'ascending':'descending');\n"
    "const v=r=>r.cells[i].textContent,n=r=>parseFloat(v(r).replace('\\u2212','-'));\n"
    "b.append(...[...b.rows].sort((x,y)=>{const p=n(x),q=n(y),a=isNaN(p),c=isNaN(q);\n"
    "return a&&c?d*v(x).localeCompare(v(y)):a?1:c?-1:d*(p-q)}))}})}\n"
    "let folded=[];addEventListener('beforeprint',()=>{folded=[...document.querySelectorAll('details:not([open])')];\n"
    "for(const e of folded)e.open=true});addEventListener('afterprint',()=>{for(const e of folded)e.open=false});\n";

void eq_page_base64(struct eq_str *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        unsigned v = (unsigned)bytes[i] << 16 | (have > 1 ? (unsigned)bytes[i + 1] << 8 : 0u) |
                     (have > 2 ? (unsigned)bytes[i + 2] : 0u);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], have > 1 ? digits[v >> 6 & 63] : '=',
                        have > 2 ? digits[v & 63] : '='};
        eq_str_add_bytes(out, four, 4);
    }
}

/* 'sha256-...' of a script, as a policy names it. */
static void add_hash(struct eq_str *out, const char *text)
{
    char hex[EQ_SHA256_TEXT];
    unsigned char bytes[32];
    eq_sha256(text, strlen(text), hex);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)strtoul((char[]){hex[2 * i], hex[2 * i + 1], '\0'}, NULL, 16);
    eq_str_add(out, "'sha256-");
    eq_page_base64(out, bytes, sizeof bytes);
    eq_str_add(out, "'");
}

void eq_page_begin(struct eq_str *out)
{
    eq_str_add(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src ");
    add_hash(out, script);
    eq_str_add(out, "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>echoquant: FP32 to INT8</title>\n"
                    "<style>\n:root{color-scheme:light dark;");
    eq_picture_css(false, out);
    eq_str_add(out, "}\n@media screen and (prefers-color-scheme:dark){:root{");
    eq_picture_css(true, out);
    eq_str_add(out,
               "}}\n@media print{:root{color-scheme:light}}\n%s</style>\n</head>\n<body>\n"
               "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n",
               style);
}

void eq_page_end(struct eq_str *out)
{
    eq_str_add(out, "<script>%s</script>\n</body>\n</html>\n", script);
}
