from echoquant import main

main()
