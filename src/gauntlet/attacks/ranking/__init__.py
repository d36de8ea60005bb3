"""RobRank's attacks on ranks and on cosines (Zhou and Patel 2021, arXiv 2106.03614), one file each.

Each perturbs one image and is judged by where one chosen pair of images ends, not by classes. The other image
of the pair is drawn at random per perturbed image (RobRank's W = M = 1).
"""
