/* The command table arrives with the command floor. */
int main(void)
{
    return 0;
}
